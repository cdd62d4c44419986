"""21-102: makes observations, linksets and events of what is stored."""
