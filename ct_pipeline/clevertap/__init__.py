"""CleverTap's server API as CleverTap defines it: regions, query language, paging, records, client."""
