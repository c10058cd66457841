"""The shortcut experiment: digits beside a band of colour, and which of them is learned."""
