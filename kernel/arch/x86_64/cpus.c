/* SPDX-License-Identifier: MIT */
/*
 * The other CPUs: started one by one at boot, held until core is ready for them, stopped by a panic.
 *
 * A CPU that is started takes its index out of cpus_start_index (boot.S). One that answers too late finds
 * none there, and waits for ever; so indices have no holes.
 */
#include "local.h"

#ifdef PITH_PROBE
#include "probe.h"
#endif

#define INIT_DELAY     (10 * NS_PER_SECOND / 1000)
#define START_DELAY    (NS_PER_SECOND / 1000)
#define ARRIVAL_LIMIT  (5 * NS_PER_SECOND)
#define STOP_LIMIT     (NS_PER_SECOND)
#define CLOCK_READINGS 16

extern uint32_t cpus_start_index;
uint32_t cpus_start_index; /* boot.S */

static uint64_t start_page;
static unsigned online = 1; /* CPUs that can be interrupted: indices 0 to online - 1 */
static bool released;
static unsigned panicking; /* the CPU that panics + 1 */
static unsigned stopped;

_Noreturn void boot_other(unsigned index);

void cpus_prepare(uint64_t page)
{
	const uint8_t *from = phys_to_virt((uint64_t)boot_start);
	uint8_t *to = phys_to_virt(page);

	start_page = page;
	for (uint64_t i = 0; page != 0 && i < (uint64_t)(boot_start_end - boot_start); i++)
		to[i] = from[i];
}

static void delay(uint64_t nanoseconds)
{
	uint64_t end = arch_time() + nanoseconds;

	while (arch_time() < end)
		;
}

/* How far a CPU got that was started. */
enum { CPU_ARRIVED = 1, CPU_CHECKED };

static void reach(unsigned stage)
{
	__atomic_store_n(&cpu_local()->stage, stage, __ATOMIC_RELEASE);
}

static bool reached(unsigned index, unsigned stage)
{
	return __atomic_load_n(&cpu_at(index)->arch.stage, __ATOMIC_ACQUIRE) >= stage;
}

/* ---- is its clock ours? ---- */

/*
 * The first CPU asks for readings by counting `asked` up, the new one answers each. A reading that is not
 * between two of ours is off by at least the distance.
 */
static struct {
	unsigned asked, answered;
	uint64_t reading;
	uint64_t correction;
	bool done;
} clock_check;

static void clock_answer(void)
{
	unsigned answered = 0;

	while (!__atomic_load_n(&clock_check.done, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&clock_check.asked, __ATOMIC_ACQUIRE) == answered) {
			cpu_pause();
			continue;
		}
		clock_check.reading = tsc_read();
		__atomic_store_n(&clock_check.answered, ++answered, __ATOMIC_RELEASE);
	}
	if (clock_check.correction != 0 && cpu_features.tsc_adjust)
		msr_write(MSR_TSC_ADJUST, msr_read(MSR_TSC_ADJUST) + clock_check.correction);
	reach(CPU_CHECKED);
}

static void clock_compare(unsigned index)
{
	uint64_t correction = 0, best = UINT64_MAX;

	for (unsigned i = 1; i <= CLOCK_READINGS; i++) {
		uint64_t before = tsc_read(), after;

		__atomic_store_n(&clock_check.asked, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&clock_check.answered, __ATOMIC_ACQUIRE) != i)
			cpu_pause();
		after = tsc_read();
		if (after - before >= best)
			continue;
		best = after - before;
		correction =
		        clock_check.reading - before <= best ? 0 : before + best / 2 - clock_check.reading;
	}
	if (correction != 0)
		kernel_log("cpus: the clock of CPU %u is %ld ticks behind%s\n", index, correction,
		           cpu_features.tsc_adjust ? ", set right" : ": times will jump");
	clock_check.correction = correction;
	__atomic_store_n(&clock_check.done, true, __ATOMIC_RELEASE);
	while (!reached(index, CPU_CHECKED))
		cpu_pause();
	__builtin_memset(&clock_check, 0, sizeof(clock_check));
}

/* ---- starting ---- */

static bool wait_for_arrival(unsigned index, uint64_t nanoseconds)
{
	uint64_t end = arch_time() + nanoseconds;

	while (!reached(index, CPU_ARRIVED) && arch_time() < end)
		cpu_pause();
	return reached(index, CPU_ARRIVED);
}

/* INIT resets it, the start-up interrupt names the page with its code; some need a second one. */
static bool start_one(uint32_t id, unsigned index)
{
	__atomic_store_n(&cpus_start_index, index, __ATOMIC_RELEASE);
	apic_send(id, APIC_INIT);
	delay(INIT_DELAY);
	for (unsigned i = 0; i < 2; i++) {
		apic_send(id, APIC_START | (unsigned)(start_page >> PAGE_BITS));
		if (wait_for_arrival(index, i == 0 ? START_DELAY : ARRIVAL_LIMIT))
			return true;
	}
	/* It took its index, and must be given time to use it. */
	if (__atomic_exchange_n(&cpus_start_index, 0, __ATOMIC_ACQ_REL) == 0)
		return wait_for_arrival(index, ARRIVAL_LIMIT);
	return false;
}

unsigned cpus_start(void)
{
	if (acpi.cpus_ignored != 0)
		kernel_log("cpus: %u more than the %u that Pith can use are ignored\n", acpi.cpus_ignored,
		           CPU_MAX);
	for (unsigned i = 0; i < acpi.cpu_count; i++) {
		uint32_t id = acpi.cpus[i];

		if (id == cpu_local()->apic_id)
			continue;
		if (start_page == 0) {
			kernel_log("cpus: no memory below 64 KiB to start others in\n");
			break;
		}
		if (id > apic_id_max()) {
			kernel_log("cpus: the one with APIC id %#x cannot be reached without x2APIC\n", id);
			continue;
		}
		if (online == CPU_MAX)
			break; /* the tables do not list the one that runs */
		if (!start_one(id, online)) {
			kernel_log("cpus: the one with APIC id %#x does not start\n", id);
			continue;
		}
		clock_compare(online);
		online++;
	}
	return online;
}

void arch_cpus_start(void)
{
	__atomic_store_n(&released, true, __ATOMIC_RELEASE);
	for (unsigned i = 1; i < online; i++)
		apic_send(cpu_at(i)->arch.apic_id, APIC_FIXED | VECTOR_WAKE);
}

/* From boot.S, on the CPU's own stack. The canary changes: there must be none to check. */
__attribute__((no_stack_protector)) _Noreturn void boot_other(unsigned index)
{
	arch_cpu_init(index);
	paging_cpu_init();
	vector_cpu_init();
	apic_cpu_init();
	apic_timer_cpu_init();
	reach(CPU_ARRIVED);
	clock_answer();
	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
		arch_idle();
#ifdef PITH_PROBE
	probe_other();
#endif
	kernel_main_other();
}

/* ---- stopping ---- */

void arch_panic_begin(void)
{
	unsigned mine = cpu_local()->index + 1, nobody = 0;
	uint64_t end;

	if (!__atomic_compare_exchange_n(&panicking, &nobody, mine, false, __ATOMIC_ACQ_REL,
	                                 __ATOMIC_ACQUIRE)) {
		if (nobody != mine)
			arch_halt(); /* where it is stopped */
		debug_break();
		return; /* while it panics it panics again */
	}
	debug_claim();
	for (unsigned i = 0; i < online; i++)
		if (i != cpu_local()->index)
			apic_send(cpu_at(i)->arch.apic_id, APIC_NMI);
	end = arch_time() + STOP_LIMIT;
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < online - 1 && arch_time() < end)
		cpu_pause();
	debug_break();
}

bool cpus_stopping(void)
{
	unsigned owner = __atomic_load_n(&panicking, __ATOMIC_ACQUIRE);

	if (owner == 0 || owner == cpu_local()->index + 1)
		return false;
	__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
	return true;
}
