"""Many runs at once: what a grid file lists, how its runs are started, what they found."""
