"""Endurance: whether a robot comes through faults, kills, a million ticks and real time."""
