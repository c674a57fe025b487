"""Requests that are made to cost much: what a hostile sender can write, and what an ordinary one writes."""
