"""From a World and from facts to plans and answers. Pure."""
