#include <signal.h>
#include <string.h>

#include "cli/fleet.h"
#include "cli/inventory.h"
#include "lib/log.h"

int fleet_init(struct fleet *fleet, const struct process_setting *setting, char *error_r,
               size_t error_size)
{
    memset(fleet, 0, sizeof(*fleet));
    fleet->setting = *setting;
    return program_open_binaries(fleet->binaries, error_r, error_size);
}

void fleet_fini(struct fleet *fleet)
{
    FLEET_EACH (fleet, process)
        process_fini(process);
    program_close_binaries(fleet->binaries);
}

static struct process *take(struct fleet *fleet, const struct program *program,
                            enum process_role role)
{
    for (unsigned i = 0; i < FLEET_MAX; i++)
        if (fleet->processes[i].role == PROCESS_NONE) {
            process_init(&fleet->processes[i], &fleet->setting, program, role, i + 1);
            return &fleet->processes[i];
        }
    log_panic("there are more processes than %d", FLEET_MAX);
}

unsigned fleet_room(struct fleet *fleet)
{
    unsigned room = FLEET_MAX;

    FLEET_EACH (fleet, process)
        room--;
    return room;
}

int fleet_memory(struct fleet *fleet, const struct program *program)
{
    FLEET_EACH (fleet, process)
        if (process->program == program && process->role == PROCESS_SERVING)
            return process->memory;
    return inventory_find(fleet->setting.inventory, "last");
}

int fleet_start(struct fleet *fleet, const struct program *program, const struct conf *conf,
                enum process_role role, int binary)
{
    const int last = fleet_memory(fleet, program);

    for (unsigned i = 0; i < program_count(program, conf); i++)
        if (process_start(take(fleet, program, role), binary, last) < 0)
            return -1;
    return 0;
}

void fleet_start_again(struct fleet *fleet, struct process *process)
{
    const int binary = fleet->binaries[process->program - programs];

    if (process_start(process, binary, process->memory) < 0)
        process_restart(process);
}

struct process *fleet_find(struct fleet *fleet, pid_t pid)
{
    FLEET_EACH (fleet, process)
        if (process->pid == pid)
            return process;
    return NULL;
}

bool fleet_any_runs(struct fleet *fleet, enum program_stage stage)
{
    FLEET_EACH (fleet, process)
        if (process->pid > 0 && process->program->stage == stage)
            return true;
    return false;
}

void fleet_signal(struct fleet *fleet, enum program_stage stage, int number)
{
    FLEET_EACH (fleet, process)
        if (process->pid > 0 && process->program->stage == stage)
            kill(process->pid, number);
}

bool fleet_kill(struct fleet *fleet, enum program_stage stage)
{
    bool any = false;

    FLEET_EACH (fleet, process) {
        if (process->pid == 0 || process->program->stage != stage)
            continue;
        log_warning("killing %s[%d], which has not ended", process->program->name,
                    (int)process->pid);
        kill(process->pid, SIGKILL);
        any = true;
    }
    return any;
}
