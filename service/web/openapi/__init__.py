"""Owns the description of the HTTP surface (OpenAPI 3.1), made of the route tables and the words."""
