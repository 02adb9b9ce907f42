"""What the operating system gives: files, processes, and a quiet terminal."""
