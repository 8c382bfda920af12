"""What axe finds wrong with the page that a browser shows."""

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

#: WCAG 2.2 AA, and what axe calls good manners.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe(page: Page, **options: object) -> AxeResults:
    """Ask axe by these rules, or as *options* of ``axe.run`` say; the violations are all there, what is well is not."""
    # To tell of each element why it is well took longer than to look at it.
    return Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]} | options)
