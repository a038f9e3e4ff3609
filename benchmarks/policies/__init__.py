"""Policies in closed loop: who walks how well on which command, and under which disturbance."""
