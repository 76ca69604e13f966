"""What browsers and programs see: pages, the JSON API, the live stream. It reads, and asks the stages below to act.

`routes` shows every URL on one page, `access` says who may use it; a URL without an entry there is refused.
"""
