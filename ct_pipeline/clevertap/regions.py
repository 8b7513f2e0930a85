"""Which host answers for a project: every region has its own, and every call of a workflow goes to the same one.

Source: https://developer.clevertap.com/docs/common-api-components (the table of regions and hosts).
"""

from ct_pipeline.vocabulary import Region


def api_address(region: Region | None, base_url: str = "") -> str:
    """Scheme and host of the API, without a slash at the end. ``base_url`` wins; no region means Europe, as it does
    for CleverTap.

    >>> api_address(Region.INDIA)
    'https://in1.api.clevertap.com'
    """
    if base_url:
        return base_url.rstrip("/")
    if region in (None, Region.EUROPE):
        return "https://api.clevertap.com"
    return f"https://{region}.api.clevertap.com"
