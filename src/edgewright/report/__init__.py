"""What a person reads of a network: computed as data (`view`), then drawn on the terminal or as a page."""
