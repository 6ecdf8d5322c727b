"""What a user can do: one noun module a stage; see `declaration` for what makes a verb."""
