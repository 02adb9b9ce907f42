"""What an export knows of the kinds of sample that this distribution makes files for."""
