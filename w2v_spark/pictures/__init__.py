"""Pictures and pages: maps and heat maps of words, the rounds of a run, its report, a page of test scores."""
