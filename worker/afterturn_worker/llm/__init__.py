"""The one client for a language model of the user's own, through any OpenAI-compatible endpoint."""
