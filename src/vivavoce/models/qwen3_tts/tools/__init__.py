"""Measure, trace and imitate checkpoints, for the commands `bench` and `trace`."""
