"""A user's own folders of sounds, for any task."""
