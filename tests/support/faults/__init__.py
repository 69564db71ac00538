"""The fault suite's own parts: lines that are tapped, a rig of real processes, schedules, audits."""
