"""What an instructor needs: the folder that is handed to a class, and the check of a machine."""
