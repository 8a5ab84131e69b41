"""What is tissue: one module a rule, all on plain arrays; `thumbnail_mask` alone picks by name and knows slides."""
