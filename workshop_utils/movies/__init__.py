"""Movies: the demo, known ones and the attendee's own; copying them; and the truth of simulated ones."""
