"""Measurements: each beside the physical floor, interleaved in one run, so that ratios hold."""
