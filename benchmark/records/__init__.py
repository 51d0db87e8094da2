"""What a run leaves behind: its record, and the store that keeps records safely."""
