"""Latency: what a tick costs on this machine, as a report that can be compared, gated and sent around."""
