"""What is true: vocabulary, errors, settings, pure policy, tables, store and task names."""
