"""The groups of the lineage graph, numbered so that lists read in the order of the data's way too."""

INTAKE = "1_intake"
DOMAINS = "2_domains"
VERIFICATION = "3_verification"
VERDICTS = "4_verdicts"
EXPORT = "5_export"
