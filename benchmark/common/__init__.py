"""What any program needs: files, locks, threads, progress bars, words."""
