"""The input as tables of one schema: what columns it has, where its rows are, what its keys say."""
