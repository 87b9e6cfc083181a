/* What a driver in C could do behind everybody's back. */

void planted_in_c(unsigned flags);

void planted_in_c(unsigned flags)
{
	__asm__ volatile("push %0\n\tpopf" : : "r"(flags) : "cc", "memory");
}
