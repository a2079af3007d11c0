"""The words of the project: records, configs, keys by name, shape types, trees."""
