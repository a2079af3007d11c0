"""Forms on disk: framed records, feature tables, pictures, the layout of a store."""
