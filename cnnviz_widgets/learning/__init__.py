"""What is trained here: LeNet, filters that form, a player of Catch."""
