"""What a user says and sees."""
