"""From text to ids: rules and arrays, no Spark."""
