"""What stands behind `datamodules.check`."""
