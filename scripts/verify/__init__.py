"""The verify stage: our verifiers and the stock tools on one built kit, and they must agree. Imports no builder."""
