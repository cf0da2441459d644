"""Link keys → pairs → people: which records are the same person, found without knowing who anybody is."""
