"""Human evaluation: pages for judges, their answers, and what follows from them."""
