"""Phrases: captions of the vocabulary, and the velocity that each asks for [m/s, m/s, rad/s]."""

from __future__ import annotations

__all__ = ["PHRASES"]

PHRASES = {
    "stand": (0.0, 0.0, 0.0),
    "walk forward slowly": (0.3, 0.0, 0.0),
    "walk forward": (0.5, 0.0, 0.0),
    "run forward": (1.0, 0.0, 0.0),
    "walk backward slowly": (-0.25, 0.0, 0.0),
    "walk backward": (-0.5, 0.0, 0.0),
    "walk backward and to the left": (-0.3, 0.2, 0.0),
    "walk backward and to the right": (-0.3, -0.2, 0.0),
    "side-step left": (0.0, 0.5, 0.0),
    "side-step right": (0.0, -0.5, 0.0),
    "turn left slowly": (0.0, 0.0, 0.4),
    "turn right slowly": (0.0, 0.0, -0.4),
    "turn left": (0.0, 0.0, 0.8),
    "turn right": (0.0, 0.0, -0.8),
    "walk forward, turning left": (0.5, 0.0, 0.5),
    "walk forward, turning right": (0.5, 0.0, -0.5),
    "run forward, turning left": (1.0, 0.0, 0.3),
    "run forward, turning right": (1.0, 0.0, -0.3),
}
