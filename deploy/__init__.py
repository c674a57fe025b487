"""Owns what a cluster is told: the manifests in kubernetes/, and the one of them that is generated."""
