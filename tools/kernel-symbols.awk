# SPDX-License-Identifier: MIT
# nm -n of the kernel -> the assembly of its table of functions, for backtraces (kernel/arch/x86_64/debug.c).
# Addresses are the low 32 bits: the kernel lies in the last 2 GiB.
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^\.L/ {
	address[count] = substr($1, 9)
	name[count++] = $3
}
END {
	print "\t.section .symbols, \"a\"\n\t.globl kernel_symbols, kernel_symbol_count, kernel_symbol_names"
	print "\t.balign 8\nkernel_symbols:"
	for (i = 0; i < count; i++) {
		printf "\t.long 0x%s, %d\n", address[i], offset
		offset += length(name[i]) + 1
	}
	printf "kernel_symbol_count:\n\t.long %d\nkernel_symbol_names:\n", count
	for (i = 0; i < count; i++)
		printf "\t.asciz \"%s\"\n", name[i]
	print "\t.section .note.GNU-stack, \"\", @progbits"
}
