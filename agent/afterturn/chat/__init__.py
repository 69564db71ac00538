"""The built-in agent, `afterturn chat`: an example of a loop, and a conversation at a terminal."""
