"""What MCDRL costs, beside what it is compared with."""
