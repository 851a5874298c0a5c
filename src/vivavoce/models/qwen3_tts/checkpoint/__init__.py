"""Find, download and load the files of a checkpoint."""
