"""From pixels to physics: what is understood of a clip, and how the robot then moves."""
