/* Verbs of `ballast vm` that have a file of their own. */
#ifndef BALLAST_EXPERIMENTS_CMD_VM_H
#define BALLAST_EXPERIMENTS_CMD_VM_H

#include "experiments/cmds.h"

int cmd_vm_dump(int argc, char **argv);

#endif
