"""What an app developer gets: a folder, and how to run the file in it."""
