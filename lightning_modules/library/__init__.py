"""Libraries of sounds on disk: scanning, filing by tag, undoing that, packing, and searching by sound."""
